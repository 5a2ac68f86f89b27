package lib.impact_test

import data.lib.impact

test_a_class_covers_itself_and_what_is_below if {
	every class in ["read", "write"] { impact.covers("write", class) }
	every class in ["read", "write", "external", "destructive", "privileged"] { impact.covers("privileged", class) }
}

test_a_class_does_not_cover_what_is_above if {
	every class in ["write", "external", "destructive", "privileged"] { not impact.covers("read", class) }
	every class in ["destructive", "privileged"] { not impact.covers("external", class) }
	not impact.covers("destructive", "privileged")
}

test_what_is_no_class_covers_nothing_and_is_not_covered if {
	every other in [null, true, 5, "", "READ", [], {}, ["read"]] {
		not impact.covers(other, "read")
		not impact.covers("privileged", other)
	}
	set() == {1 | impact.covers(input.missing, "read")}
	set() == {1 | impact.covers("privileged", input.missing)}
	set() == {1 | impact.covers(input.missing, input.missing)}
}

test_no_two_classes_cover_each_other if {
	classes := ["read", "write", "external", "destructive", "privileged"]
	every place, class in classes {
		every above in array.slice(classes, place + 1, 5) {
			impact.covers(above, class)
			not impact.covers(class, above)
		}
	}
}
