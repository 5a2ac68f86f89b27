package gates.amount_test

import data.config
import data.gates.amount

call(arguments, labels) := {"tool": {"argument_labels": labels}, "arguments": arguments}

money := {"/amount": ["money"]}

limit := config.gates.amount.open_up_to

test_an_amount_up_to_the_limit_needs_no_approval if amount.open with input as call({"amount": limit}, money)

test_a_larger_amount_needs_one if not amount.open with input as call({"amount": limit + 1}, money)

test_every_labelled_amount_counts if {
	not amount.open with input as call({"amount": 1, "fee": limit + 1}, {"/amount": ["money"], "/fee": ["x", "money"]})
}

test_a_tool_without_amounts_needs_none if amount.open with input as call({"note": "x"}, {"/note": ["text"]})

test_an_amount_that_is_missing_or_no_number_needs_one if {
	every wrong in [{}, {"amount": null}, {"amount": true}, {"amount": "1"}, {"amount": []}, {"amount": {}}, null, true, []] {
		not amount.open with input as call(wrong, money)
	}
}

test_labels_in_a_form_we_cannot_read_need_one if {
	every wrong in [null, true, "money", [], {"/amount": "money"}, {"/amount": [null]}] {
		not amount.open with input as call({"amount": 1}, wrong)
	}
	not amount.open with input as {"arguments": {"amount": 1}}
	not amount.open with input as {}
}

test_without_values_everything_needs_one if not amount.open with input as call({}, {}) with config as {}
