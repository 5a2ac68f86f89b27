package lib.parsed_test

import data.lib.parsed

a := {"kind": "path", "path": "/a", "segments": ["a"], "absolute": true}

b := {"kind": "path", "path": "/b", "segments": ["b"], "absolute": true}

test_an_argument_is_found_with_what_it_was_taken_apart_into if {
	parsed.labelled({"file": "/a"}, {"/file": a}, {"/file": ["path"]}, "path") == [a]
	parsed.labelled({"file": "/a", "to": "/b"}, {"/file": a, "/to": b}, {"/file": ["path"], "/to": ["text", "path"]}, "path") == [a, b]
	parsed.labelled({"o": {"file": "/a"}}, {"/o/file": a}, {"/o/file": ["path"]}, "path") == [a]
}

test_every_item_of_a_list_is_found if {
	parsed.labelled({"files": ["/a", "/b"]}, {"/files/0": a, "/files/1": b}, {"/files": ["path"]}, "path") == [a, b]
}

test_arguments_without_the_label_are_left_alone if {
	parsed.labelled({"file": "../a"}, {}, {"/file": ["text"]}, "path") == []
	parsed.labelled({}, {}, {}, "path") == []
}

test_what_could_not_be_taken_apart_gives_no_answer if {
	not parsed.labelled({"file": "../a"}, {}, {"/file": ["path"]}, "path")
	not parsed.labelled({"file": "/a", "to": "../b"}, {"/file": a}, {"/file": ["path"], "/to": ["path"]}, "path")
	not parsed.labelled({"files": ["/a", "../b"]}, {"/files/0": a}, {"/files": ["path"]}, "path")
	not parsed.labelled({"files": ["../a", "/b"]}, {"/files/1": b}, {"/files": ["path"]}, "path")
	not parsed.labelled({"files": ["/a", "../b"]}, {"/files/0": a, "/files/2": b}, {"/files": ["path"]}, "path")
}

test_what_stands_only_in_parsed_gives_no_answer if {
	not parsed.labelled({"files": ["/a"]}, {"/files/0": a, "/files/1": b}, {"/files": ["path"]}, "path")
	not parsed.labelled({"files": ["/a"]}, {"/files/0": a, "/files/x": b}, {"/files": ["path"]}, "path")
	parsed.labelled({"files": ["/a"]}, {"/files/0": a, "/files2/1": b}, {"/files": ["path"]}, "path") == [a]
	not parsed.labelled({}, {"/file": a}, {"/file": ["path"]}, "path")
	not parsed.labelled({"file": null}, {"/file": a}, {"/file": ["path"]}, "path")
}

test_an_empty_list_or_something_else_gives_no_answer if {
	every odd in [[], {}, 5, true, false, null, {"0": "/a"}] {
		not parsed.labelled({"files": odd}, {"/files": a, "/files/0": a}, {"/files": ["path"]}, "path")
		not parsed.labelled({"files": odd}, {"/files": a}, {"/files": ["path"]}, "path")
	}
	every odd in [[], {}, 5, true, false, null] {
		not parsed.labelled({"files": odd}, {}, {"/files": ["path"]}, "path")
	}
}

test_what_is_in_a_form_we_cannot_read_gives_no_answer if {
	every odd in [null, true, 5, "x", []] {
		not parsed.labelled(odd, {}, {}, "path")
		not parsed.labelled({}, odd, {}, "path")
		not parsed.labelled({}, {}, odd, "path")
	}
	every odd in [null, true, 5, "path", [5]] { not parsed.labelled({}, {}, {"/file": odd}, "path") }
	every odd in [null, true, 5, [], {}] { not parsed.labelled({}, {}, {}, odd) }
	set() == {1 | parsed.labelled(input.missing, {}, {}, "path")}
	set() == {1 | parsed.labelled({}, input.missing, {}, "path")}
	set() == {1 | parsed.labelled({}, {}, input.missing, "path")}
	set() == {1 | parsed.labelled({}, {}, {}, input.missing)}
}
