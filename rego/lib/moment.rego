# METADATA
# title: Moments
# description: Times are fixed-width text in UTC (2026-01-01T00:00:00Z), so they compare as text. Anything else is no time.
package lib.moment

# METADATA
# title: Before
# description: "Both are times, and `earlier` is before `later`."
before(earlier, later) if {
	well_formed(earlier)
	well_formed(later)
	earlier < later
}

# METADATA
# title: Well formed
# description: "`value` looks like 2026-01-01T00:00:00Z."
well_formed(value) if regex.match(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$`, value)
