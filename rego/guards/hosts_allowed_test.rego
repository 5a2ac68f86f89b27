package guards.hosts_allowed_test

import data.config
import data.guards.hosts_allowed

call(page) := {
	"tool": {"server": "web", "name": "fetch", "argument_labels": {"/page": ["url"]}},
	"arguments": {"page": "the same, as text"},
	"parsed": {"/page": page},
}

page(scheme, host, port) := {"kind": "url", "scheme": scheme, "host": host, "port": port, "path": "/", "segments": []}

values := {
	"tools": {"web/fetch": {"schemes": ["https"], "hosts": ["*.a.example", "192.0.2.7"], "ports": [443]}},
	"servers": {"web": {"schemes": ["http"], "hosts": ["b.example"], "ports": [80]}},
	"others": {"schemes": ["wss"], "hosts": ["*"], "ports": [443]},
}

test_a_url_on_the_list_holds if {
	every host in ["x.a.example", "192.0.2.7"] {
		hosts_allowed.holds with input as call(page("https", host, 443)) with config.guards.hosts_allowed as values
	}
}

test_any_other_does_not if {
	every other in [
		page("http", "x.a.example", 443), page("https", "a.example", 443), page("https", "x.a.example", 80),
		page("https", "192.0.2.8", 443), page("https", "b.example", 443), {"kind": "url", "scheme": "https", "host": "x.a.example"},
	] {
		not hosts_allowed.holds with input as call(other) with config.guards.hosts_allowed as values
	}
}

test_only_the_nearest_list_counts if {
	here := object.union(call(page("http", "b.example", 80)), {"tool": {"name": "post"}})
	there := object.union(call(page("wss", "anything.example", 443)), {"tool": {"server": "other"}})
	hosts_allowed.holds with input as here with config.guards.hosts_allowed as values
	hosts_allowed.holds with input as there with config.guards.hosts_allowed as values
	not hosts_allowed.holds with input as object.union(here, {"tool": {"server": "other"}}) with config.guards.hosts_allowed as values
	not hosts_allowed.holds with input as object.union(there, {"tool": {"server": "web"}}) with config.guards.hosts_allowed as values
}

test_every_url_of_a_list_is_on_it if {
	good := page("https", "x.a.example", 443)
	two := object.union(call({}), {"arguments": {"page": ["x", "y"]}, "parsed": {"/page/0": good, "/page/1": good}})
	hosts_allowed.holds with input as object.union(object.remove(two, ["parsed"]), {"parsed": {"/page/0": good, "/page/1": good}})
		with config.guards.hosts_allowed as values
	not hosts_allowed.holds with input as object.union(two, {"parsed": {"/page/1": page("https", "evil.example", 443)}})
		with config.guards.hosts_allowed as values
	not hosts_allowed.holds with input as object.union(two, {"arguments": {"page": ["x", "y", "z"]}})
		with config.guards.hosts_allowed as values
}

test_what_was_not_taken_apart_or_is_missing_does_not_hold if {
	whole := call(page("https", "x.a.example", 443))
	not hosts_allowed.holds with input as object.union(object.remove(whole, ["parsed"]), {"parsed": {}})
		with config.guards.hosts_allowed as values
	not hosts_allowed.holds with input as object.union(object.remove(whole, ["arguments"]), {"arguments": {}})
		with config.guards.hosts_allowed as values
	every part in ["parsed", "arguments"] {
		not hosts_allowed.holds with input as object.remove(whole, [part]) with config.guards.hosts_allowed as values
	}
}

test_by_default_there_is_no_host if {
	not hosts_allowed.holds with input as call(page("https", "www.example.com", 443))
}

test_a_tool_without_such_arguments_needs_no_host if {
	hosts_allowed.holds with input as {"tool": {"argument_labels": {"/page": ["text", "path"]}}}
	hosts_allowed.holds with input as {"tool": {"argument_labels": {}}} with config as {}
}

test_what_we_cannot_read_does_not_hold if {
	every wrong in [null, true, "url", [], {"/page": "url"}, {"/page": [true]}] {
		not hosts_allowed.holds with input as object.union(
			call(page("https", "x.a.example", 443)),
			{"tool": {"argument_labels": wrong}},
		)
			with config.guards.hosts_allowed as values
	}
	not hosts_allowed.holds with input as {}
	not hosts_allowed.holds with input as call(page("https", "x.a.example", 443)) with config as {}
}
