package lib.tool_test

import data.lib.tool

crm := {"server": "crm", "name": "read", "labels": ["personal", "other"]}

test_a_tool_is_named_by_server_and_name if tool.name(crm) == "crm/read"

test_lists_come_from_labels_and_from_the_tool if {
	tool.gathered(crm, {"personal": ["/b", "/a"], "secret": ["/c"]}, {"crm/read": ["/d", "/a"], "crm/x": ["/e"]}) == ["/a", "/b", "/d"]
	tool.gathered(crm, {}, {}) == []
}

test_what_labels_and_the_tool_list_is_found_in_their_order if {
	tool.listed(crm, {"other": {"b": 1}, "personal": {"a": 1}, "secret": {}}, {"crm/read": {"c": 1}, "crm/x": {}}) == [
		{"a": 1}, {"b": 1},
		{"c": 1},
	]
	tool.listed(crm, {"secret": 1}, {"crm/x": 1}) == []
	tool.listed(crm, {"personal": false}, {"crm/read": null}) == [false, null]
}

test_labels_in_a_form_we_cannot_read_give_no_answer if {
	every odd in [null, true, 5, "personal", {}, [null], [5], ["personal", 5]] {
		not tool.gathered(object.union(crm, {"labels": odd}), {"personal": ["/a"]}, {})
		not tool.listed(object.union(crm, {"labels": odd}), {"personal": ["/a"]}, {})
	}
	not tool.gathered(object.remove(crm, ["labels"]), {}, {})
	not tool.listed(object.remove(crm, ["labels"]), {}, {})
}

test_only_lists_are_gathered if {
	every odd in [null, true, 5, "/a", {}] {
		not tool.gathered(crm, {"personal": odd, "other": ["/a"]}, {})
		not tool.gathered(crm, {}, {"crm/read": odd})
	}
}

test_a_tool_without_a_name_gives_no_answer if {
	every part in ["server", "name"] {
		not tool.name(object.remove(crm, [part]))
		not tool.gathered(object.remove(crm, [part]), {}, {})
		not tool.listed(object.remove(crm, [part]), {}, {})
		not tool.setting(object.remove(crm, [part]), {"tools": {}, "servers": {}, "others": 3})
		every odd in [null, true, [], {}] {
			not tool.gathered(object.union(crm, {part: odd}), {}, {})
			not tool.listed(object.union(crm, {part: odd}), {}, {})
			not tool.setting(object.union(crm, {part: odd}), {"tools": {}, "servers": {}, "others": 3})
		}
	}
}

test_values_in_a_form_we_cannot_read_give_no_answer if {
	every odd in [null, true, 5, "", []] {
		not tool.listed(crm, odd, {})
		not tool.listed(crm, {}, odd)
		not tool.gathered(crm, odd, {})
		not tool.gathered(crm, {}, odd)
	}
}

test_the_nearest_setting_counts_alone if {
	tool.setting(crm, {"tools": {"crm/read": 1}, "servers": {"crm": 2}, "others": 3}) == 1
	tool.setting(crm, {"tools": {"crm/x": 1}, "servers": {"crm": 2}, "others": 3}) == 2
	tool.setting(crm, {"tools": {"crm/x": 1}, "servers": {"x": 2}, "others": 3}) == 3
}

test_a_section_that_lacks_a_part_sets_nothing if {
	whole := {"tools": {"crm/read": 1}, "servers": {"crm": 2}, "others": 3}
	every part, _ in whole { not tool.setting(crm, object.remove(whole, [part])) }
	every odd in [null, true, 5, "x", []] {
		not tool.setting(crm, object.union(whole, {"tools": odd}))
		not tool.setting(crm, object.union(whole, {"servers": odd}))
		not tool.setting(crm, odd)
	}
}
