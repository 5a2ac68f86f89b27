package guards.paths_contained_test

import data.config
import data.guards.paths_contained

call(arguments, parsed) := {
	"tool": {"server": "files", "name": "read", "argument_labels": {"/file": ["path"]}},
	"arguments": arguments,
	"parsed": parsed,
}

file(text) := {"kind": "path", "path": text, "segments": [], "absolute": true}

values := {"tools": {"files/read": ["/srv/a"]}, "servers": {"files": ["/srv/b"]}, "others": ["/srv/c"]}

test_a_file_in_a_folder_of_the_tool_holds if {
	paths_contained.holds with input as call({"file": "/srv/a/x"}, {"/file": file("/srv/a/x")})
		with config.guards.paths_contained as values
	not paths_contained.holds with input as call({"file": "/srv/ab"}, {"/file": file("/srv/ab")})
		with config.guards.paths_contained as values
}

test_only_the_nearest_folders_count if {
	every pair in [
		["files", "read", "/srv/a"], ["files", "write", "/srv/b"], ["other", "read", "/srv/c"],
	] {
		every folder in ["/srv/a", "/srv/b", "/srv/c"] {
			asked := object.union(
				call({"file": folder}, {"/file": file(folder)}),
				{"tool": {"server": pair[0], "name": pair[1]}},
			)
			held := {true | paths_contained.holds with input as asked with config.guards.paths_contained as values}
			held == {true | folder == pair[2]}
		}
	}
}

test_every_file_of_a_list_lies_inside if {
	two := {"/file/0": file("/srv/a/x"), "/file/1": file("/srv/a/y")}
	paths_contained.holds with input as call({"file": ["/srv/a/x", "/srv/a/y"]}, two)
		with config.guards.paths_contained as values
	not paths_contained.holds with input as call({"file": ["/srv/a/x", "/srv/a/y", "../z"]}, two)
		with config.guards.paths_contained as values
	not paths_contained.holds with input as call(
		{"file": ["/srv/a/x", "/etc/y"]},
		object.union(two, {"/file/1": {"path": "/etc/y"}}),
	)
		with config.guards.paths_contained as values
}

test_what_was_not_taken_apart_or_is_missing_does_not_hold if {
	every arguments in [{"file": "/srv/a/../b"}, {}, {"file": null}, {"file": []}] {
		not paths_contained.holds with input as call(arguments, {})
			with config.guards.paths_contained as values
	}
	not paths_contained.holds with input as call({"file": "/srv/a"}, {"/file": {"kind": "url", "path": "/srv/a"}})
		with config.guards.paths_contained as values
}

test_by_default_there_is_no_folder if {
	every folder in ["/", "/srv", "a", "."] {
		not paths_contained.holds with input as call({"file": folder}, {"/file": file(folder)})
	}
}

test_a_tool_without_such_arguments_needs_no_folder if {
	paths_contained.holds with input as {"tool": {"argument_labels": {"/file": ["text", "url"]}}}
	paths_contained.holds with input as {"tool": {"argument_labels": {}}} with config as {}
}

test_what_we_cannot_read_does_not_hold if {
	every wrong in [null, true, "path", [], {"/file": "path"}, {"/file": [true]}] {
		not paths_contained.holds with input as object.union(
			call({"file": "/srv/a"}, {"/file": file("/srv/a")}),
			{"tool": {"argument_labels": wrong}},
		)
			with config.guards.paths_contained as values
	}
	not paths_contained.holds with input as {}
	not paths_contained.holds with input as call({"file": "/srv/a"}, {"/file": file("/srv/a")}) with config as {}
}
