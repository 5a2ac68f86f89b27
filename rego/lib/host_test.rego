package lib.host_test

import data.lib.host

test_a_host_matches_its_own_name_in_any_case if {
	host.matches_host("api.example.com", "api.example.com")
	host.matches_host("API.Example.com", "api.example.COM")
	not host.matches_host("api.example.com.evil.net", "api.example.com")
	not host.matches_host("evilapi.example.com", "api.example.com")
}

test_a_star_stands_for_names_below if {
	host.matches_host("api.example.com", "*.example.com")
	host.matches_host("a.b.example.com", "*.Example.com")
	not host.matches_host("example.com", "*.example.com")
	not host.matches_host("evilexample.com", "*.example.com")
	not host.matches_host("example.com.evil.net", "*.example.com")
}

test_a_star_elsewhere_stands_for_nothing if {
	every pattern in ["*", "*.", "a.*.example.com", "api.*", "**.example.com", "*example.com"] {
		not host.matches_host("a.b.example.com", pattern)
	}
}

test_what_is_not_a_plain_name_is_no_host if {
	every odd in [
		"", "api.example.com:443", "user@api.example.com", "api.example.com.", ".example.com", "a..example.com",
		"https://api.example.com", "api.example.com/x", "api.example.com\n", "-api.example.com", "аpi.example.com",
		"\u212aey.example.com", "u\u017fer.example.com",
	] {
		not host.matches_host(odd, odd)
		not host.matches_host(odd, "*.example.com")
	}
}

test_what_is_no_text_is_no_host if {
	every other in [null, true, 5, [], {}, ["api.example.com"]] {
		not host.matches_host(other, "*.example.com")
		not host.matches_host("api.example.com", other)
		not host.matches_host(other, other)
	}
	set() == {1 | host.matches_host(input.missing, "*.example.com")}
	set() == {1 | host.matches_host("api.example.com", input.missing)}
}

test_a_listed_host_stands_there_or_matches if {
	host.listed("api.example.com", ["x.example", "api.example.com"])
	host.listed("api.example.com", ["x.example", "*.example.com"])
	not host.listed("api.example.com", ["x.example", "*.example.org"])
	not host.listed("api.example.com", [])
}

test_a_star_alone_lists_every_full_name if {
	every name in ["api.example.com", "a.xn--p1ai", "1.2.3.example"] { host.listed(name, ["*"]) }
	every odd in ["localhost", "10.0.0.1", "2001:db8::1", "example.", "a..example", "a_b.example", "a.1x", ""] {
		not host.listed(odd, ["*"])
	}
}

test_an_address_or_a_short_name_is_listed_only_by_itself if {
	every address in ["10.0.0.1", "2001:db8::1", "localhost"] {
		host.listed(address, ["*", address])
		not host.listed(address, ["*", "*.0.0.1", "*.0.1", "*.localhost", "10.0.0.2"])
	}
	not host.listed("x.localhost", ["localhost"])
	not host.listed("10.0.0.1", ["*.0.0.1"])
}

test_what_is_no_text_and_no_list_is_not_listed if {
	every odd in [null, true, 5, [], {}] {
		not host.listed(odd, ["*", odd])
		not host.listed("api.example.com", odd)
		not host.listed("api.example.com", [odd])
	}
	not host.listed("api.example.com", {"x": "*.example.com"})
	not host.listed("api.example.com", {"x": "*"})
	not host.listed("api.example.com", "*")
	set() == {1 | host.listed(input.missing, ["*"])}
	set() == {1 | host.listed("api.example.com", input.missing)}
}

page := {"kind": "url", "scheme": "https", "host": "api.example.com", "port": 443, "path": "/", "segments": []}

allowed := {"schemes": ["https"], "hosts": ["api.example.com"], "ports": [443, 8443]}

test_scheme_host_and_port_must_all_be_allowed if {
	host.reachable(page, allowed)
	host.reachable(object.union(page, {"port": 8443}), allowed)
	not host.reachable(object.union(page, {"port": 80}), allowed)
	not host.reachable(object.union(page, {"scheme": "http"}), allowed)
	not host.reachable(object.union(page, {"host": "evil.example"}), allowed)
	not host.reachable(object.union(page, {"kind": "path"}), allowed)
}

test_a_url_that_lacks_a_part_reaches_nothing if {
	every part in ["kind", "scheme", "host", "port"] {
		not host.reachable(object.remove(page, [part]), allowed)
		every odd in [null, true, [], {}] {
			anything := {"schemes": ["https", odd], "hosts": ["api.example.com", odd], "ports": [443, odd]}
			not host.reachable(object.union(page, {part: odd}), anything)
		}
	}
	every odd in [null, true, 5, "https://api.example.com", []] { not host.reachable(odd, allowed) }
	set() == {1 | host.reachable(input.missing, allowed)}
}

test_a_list_that_lacks_a_part_allows_nothing if {
	every part, _ in allowed {
		not host.reachable(page, object.remove(allowed, [part]))
		every odd in [null, true, 443, "https", {}, []] { not host.reachable(page, object.union(allowed, {part: odd})) }
	}
	not host.reachable(page, object.union(allowed, {"ports": {"x": 443}}))
	set() == {1 | host.reachable(page, input.missing)}
}

test_all_of_several_are_reachable_or_it_is_no if {
	host.all_reachable([], {})
	host.all_reachable([page, object.union(page, {"port": 8443})], allowed)
	not host.all_reachable([page, object.union(page, {"port": 80})], allowed)
	every odd in [null, true, 5, "x", {}] { not host.all_reachable(odd, allowed) }
	every odd in [null, true, 5, "x", []] { not host.all_reachable([], odd) }
	set() == {1 | host.all_reachable(input.missing, allowed)}
	set() == {1 | host.all_reachable([], input.missing)}
}
