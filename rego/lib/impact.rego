# METADATA
# title: Impact
# description: What a tool can do to the world, in order from reading to changing rights.
package lib.impact

# METADATA
# title: Order
# description: The classes of impact, and how they are ordered.
order := {"read": 1, "write": 2, "external": 3, "destructive": 4, "privileged": 5}

# METADATA
# title: Covers
# description: "Both are classes of impact, and `ceiling` is not below `class`."
covers(ceiling, class) if order[ceiling] >= order[class]
