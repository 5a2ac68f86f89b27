package lib.text_test

import data.lib.text

others := [null, true, 5, [], {}, ["a"], {"a": "a"}]

test_text_in_the_list_is_one_of_it if {
	text.one_of("a", ["b", "a"])
	not text.one_of("a", ["b"])
	not text.one_of("a", [])
}

test_only_text_is_one_of_a_list if {
	every other in others { not text.one_of(other, others) }
	set() == {1 | text.one_of(input.missing, ["a"])}
}

test_only_a_list_has_members if {
	every other in [null, true, 5, "a", {"a": "a"}, {"a"}] { not text.one_of("a", other) }
	set() == {1 | text.one_of("a", input.missing)}
}

test_text_starts_with_its_beginning if {
	text.starts_with("PROJ-17", "PROJ-")
	text.starts_with("PROJ-", "PROJ-")
	not text.starts_with("XPROJ-17", "PROJ-")
}

test_an_empty_prefix_is_no_prefix if not text.starts_with("anything", "")

test_only_text_starts_with_text if {
	every other in others {
		not text.starts_with(other, "a")
		not text.starts_with("a", other)
	}
	set() == {1 | text.starts_with(input.missing, "a")}
	set() == {1 | text.starts_with("a", input.missing)}
}

test_a_path_that_climbs_starts_with_nothing if {
	every climbing in [
		"/data/../etc/passwd", `/data/..\etc`, "/data/..", "/data/%2e%2e/etc", "/data/.%2E/etc", "/data/..%2fetc", "/data/x%5C..%5cetc",
		"/data/%252e%252e/etc", "/data/..%252Fetc",
	] {
		not text.starts_with(climbing, "/data/")
	}
	text.starts_with("/data/100%25", "/data/")
	text.starts_with("/data/a..b", "/data/")
}

test_text_differs_from_other_text if {
	text.differs("alice", "bob")
	text.differs("alice", "alice2")
	not text.differs("alice", "alice")
}

test_case_and_blanks_make_no_difference if {
	every same in ["Alice", "ALICE", " alice", "alice ", "al ice"] {
		not text.differs(same, "alice")
		not text.differs("alice", same)
	}
}

test_what_cannot_be_seen_makes_no_difference if {
	every same in [
		"alice\t", "alice\n", "\u0000alice", "alice\u00a0", "\u2003alice", "ali\u200bce", "alice\ufeff", "alice\u00ad",
		"alice\u0301",
	] {
		not text.differs(same, "alice")
		not text.differs("alice", same)
	}
	text.differs("Jos\u00e9 Ng", "alice")
}

test_only_text_differs_from_text if {
	every other in others {
		not text.differs(other, "a")
		not text.differs("b", other)
	}
	set() == {1 | text.differs(input.missing, "a")}
	set() == {1 | text.differs("a", input.missing)}
}
