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
		"/srv/data/%2e%2e/x", "srv/data/x", "", "/", "/srv/data/a\u0000", "/srv/data/a\n",
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
