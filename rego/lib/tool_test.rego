package lib.tool_test

import data.lib.tool

crm := {"server": "crm", "name": "read", "labels": ["personal", "other"]}

test_a_tool_is_named_by_server_and_name if tool.name(crm) == "crm/read"

test_pointers_come_from_labels_and_from_the_tool if {
	tool.pointers(crm, {"personal": ["/b", "/a"], "secret": ["/c"]}, {"crm/read": ["/d", "/a"], "crm/x": ["/e"]}) == ["/a", "/b", "/d"]
	tool.pointers(crm, {}, {}) == []
}

test_labels_in_a_form_we_cannot_read_give_no_answer if {
	every odd in [null, true, 5, "personal", {}, [null], [5]] {
		not tool.pointers(object.union(crm, {"labels": odd}), {"personal": ["/a"]}, {})
	}
	not tool.pointers(object.remove(crm, ["labels"]), {}, {})
}

test_a_tool_without_a_name_gives_no_answer if {
	every part in ["server", "name"] {
		not tool.name(object.remove(crm, [part]))
		not tool.pointers(object.remove(crm, [part]), {}, {})
		every odd in [null, true, [], {}] { not tool.pointers(object.union(crm, {part: odd}), {}, {}) }
	}
}

test_values_in_a_form_we_cannot_read_give_no_answer if {
	every odd in [null, true, 5, "", []] {
		not tool.pointers(crm, odd, {})
		not tool.pointers(crm, {}, odd)
	}
}
