# METADATA
# title: Moments
# description: Times are fixed-width text in UTC (2026-01-01T00:00:00Z), so they compare as text. Anything else is no time.
package lib.moment

# METADATA
# title: Before
# description: "Both are times, and `earlier` is before `later`."
before(earlier, later) if {
	regex.match(form, earlier)
	regex.match(form, later)
	earlier < later
}

# METADATA
# title: Form
# description: The form of a time, such as 2026-01-01T00:00:00Z.
form := `^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$`
