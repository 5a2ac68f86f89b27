package lib.moment_test

import data.lib.moment

test_the_earlier_is_before_the_later if {
	moment.before("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z")
	moment.before("2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
	not moment.before("2026-01-01T00:00:01Z", "2026-01-01T00:00:00Z")
}

test_no_moment_is_before_itself if not moment.before("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z")

test_what_is_no_moment_is_before_nothing_and_after_nothing if {
	every other in [null, true, 5, "", "2026-01-01", "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00Z ", [], {}] {
		not moment.before(other, "9999-12-31T23:59:59Z")
		not moment.before("2026-01-01T00:00:00Z", other)
	}
	set() == {1 | moment.before(input.missing, "9999-12-31T23:59:59Z")}
	set() == {1 | moment.before("2026-01-01T00:00:00Z", input.missing)}
}
