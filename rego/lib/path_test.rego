package lib.path_test

import data.lib.path

test_a_folder_contains_itself_and_what_is_below if {
	every inside in ["/srv/data", "/srv/data/a", "/srv/data/a/b.txt", "/srv/data/..a"] { path.under_path(inside, "/srv/data") }
}

test_a_folder_does_not_contain_its_neighbours if {
	every outside in ["/srv", "/srv/database", "/srv/datax/a", "/etc/passwd"] { not path.under_path(outside, "/srv/data") }
}

test_a_path_that_is_not_plain_is_nowhere if {
	every odd in [
		"/srv/data/../x", "/srv/data/./x", "/srv/data/..", "/srv/data//x", "/srv/data/", `/srv/data/..\x`,
		"/srv/data/%2e%2e/x", "srv/data/x", "", "/srv/data/a\u0000", "/srv/data/a\n",
	] {
		not path.under_path(odd, "/srv/data")
		not path.under_path("/srv/data/x", odd)
	}
}

test_what_is_no_text_is_no_path if {
	every other in [null, true, 5, [], {}, ["/srv"]] {
		not path.under_path(other, "/srv")
		not path.under_path("/srv", other)
	}
	set() == {1 | path.under_path(input.missing, "/srv")}
	set() == {1 | path.under_path("/srv", input.missing)}
}

test_the_root_has_every_absolute_path_below_it if {
	every inside in ["/", "/a", "/a/b"] { path.under_path(inside, "/") }
	every outside in ["a", "a/b", "", "/a/../b"] { not path.under_path(outside, "/") }
	not path.under_path("/", "/a")
}

test_a_relative_folder_contains_itself_and_what_is_below if {
	every inside in ["docs", "docs/a", "docs/a/..b"] { path.under_path(inside, "docs") }
	every outside in ["doc", "docsx/a", "/docs/a", "a/docs", "docs/../a", "docs/./a", "docs//a", "docs/", `docs\a`] {
		not path.under_path(outside, "docs")
	}
	not path.under_path("/docs/a", "docs/a")
	every odd in ["docs/", "", "..", "~"] { not path.under_path("docs/a", odd) }
}

test_a_dot_has_every_relative_path_below_it if {
	every inside in ["a", "a/b", ".hidden/b", "a-b", "a~", "a/~b", "a/-b", "a/b:c"] { path.under_path(inside, ".") }
	every outside in ["/a", ".", "..", "../a", "a/..", "a//b", "", `a\b`, "a%2fb", "a/%2e", "a\n", "a/b\u0000"] {
		not path.under_path(outside, ".")
	}
}

test_what_a_tool_may_read_as_something_else_is_no_relative_path if {
	every odd in ["~", "~root/.ssh", "-rf", "--output=x", "$HOME/x", "C:x", "c:/x", "file:x"] {
		not path.relative(odd)
		not path.under_path(odd, ".")
		not path.under_path(odd, odd)
	}
}

file(text) := {"kind": "path", "path": text, "segments": [], "absolute": true}

test_a_path_taken_apart_lies_in_one_of_the_folders if {
	path.inside(file("/srv/a"), ["/var", "/srv"])
	not path.inside(file("/srv/a"), ["/var", "/srv/b"])
	not path.inside(file("/srv/a"), [])
}

test_a_path_taken_apart_lies_in_none_of_the_folders if {
	path.outside(file("/srv/a"), ["/var", "/srv/b"])
	path.outside(file("/srv/a"), [])
	not path.outside(file("/srv/a"), ["/var", "/srv"])
	not path.outside(file("/srv"), ["/srv"])
	not path.outside(file("/SRV/a"), ["/srv"])
	not path.outside(file("/srv/a"), ["/Srv"])
	not path.outside(file("/srv/a"), ["/"])
}

test_what_is_not_plain_lies_outside_nothing if {
	every odd in ["/srv/../a", "srv/a", "", null, true, 5, [], {}] {
		not path.outside(file(odd), [])
		not path.outside(file("/srv/a"), [odd])
	}
}

test_what_is_no_path_taken_apart_lies_nowhere if {
	every odd in [{"kind": "url", "path": "/srv/a"}, {"path": "/srv/a"}, {"kind": "path"}, "/srv/a", null, true, [], {}] {
		not path.inside(odd, ["/srv", "/"])
		not path.outside(odd, [])
		not path.all_inside([odd], ["/srv", "/"])
	}
	set() == {1 | path.inside(input.missing, ["/"])}
	set() == {1 | path.outside(input.missing, [])}
}

test_folders_in_a_form_we_cannot_read_contain_nothing if {
	every odd in [null, true, 5, "/srv", {}, {"x": "/srv"}] {
		not path.inside(file("/srv/a"), odd)
		not path.outside(file("/srv/a"), odd)
		not path.all_inside([file("/srv/a")], odd)
		not path.all_inside([], odd)
	}
	set() == {1 | path.inside(file("/srv/a"), input.missing)}
	set() == {1 | path.outside(file("/srv/a"), input.missing)}
	set() == {1 | path.all_inside([], input.missing)}
}

test_all_of_several_lie_inside_or_it_is_no if {
	path.all_inside([], [])
	path.all_inside([file("/srv/a"), file("/var/b")], ["/srv", "/var"])
	not path.all_inside([file("/srv/a"), file("/etc/b")], ["/srv", "/var"])
	every odd in [null, true, 5, "/srv/a", {}] { not path.all_inside(odd, ["/"]) }
	set() == {1 | path.all_inside(input.missing, ["/"])}
}
