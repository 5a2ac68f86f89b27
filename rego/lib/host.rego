# METADATA
# title: Hosts
# description: |
#   Says whether a host is one of ours, on the name alone. Only a plain host name is a host. Arguments labelled `url` come
#   taken apart, in `input.parsed`.
package lib.host

import data.lib.text

# METADATA
# title: All reachable
# description: "Every one of `entries`, which `parsed.labelled` returns, is reachable as `allowed` says. When there are none they are."
all_reachable(entries, allowed) if {
	is_array(entries)
	is_object(allowed)
	every entry in entries { reachable(entry, allowed) }
}

# METADATA
# title: Reachable
# description: |
#   `entry` is a URL of `input.parsed`, and its scheme, its host and its port stand in the lists `schemes`, `hosts` and `ports` of
#   `allowed`. A URL whose port nobody knows reaches nothing.
reachable(entry, allowed) if {
	entry.kind == "url"
	text.one_of(entry.scheme, allowed.schemes)
	listed(entry.host, allowed.hosts)
	is_number(entry.port)
	is_array(allowed.ports)
	entry.port in allowed.ports
}

# METADATA
# title: Listed
# description: |
#   `host` stands in the list `patterns`, matches one, or `*` stands there and `host` is a full name. An IP address, and a
#   name without a dot such as localhost, is listed only when it stands there itself.
# scope: document
listed(host, patterns) if text.one_of(host, patterns)

listed(host, patterns) if {
	full(host)
	is_array(patterns)
	some pattern in patterns
	matches_host(host, pattern)
}

listed(host, patterns) if {
	full(host)
	text.one_of("*", patterns)
}

# METADATA
# title: Full
# description: "`name` is a plain name with a dot whose last part begins with a letter, so no IP address."
full(name) if {
	plain(name)
	regex.match(`\.[a-zA-Z][^.]*$`, name)
}

# METADATA
# title: Matches host
# scope: document
# description: "`host` equals `pattern`, or `pattern` is `*.example.com` and `host` is a name below example.com. Case does not matter."
matches_host(host, pattern) if {
	plain(host)
	plain(pattern)
	lower(host) == lower(pattern)
}

matches_host(host, pattern) if {
	plain(host)
	startswith(pattern, "*.")
	plain(trim_prefix(pattern, "*."))
	endswith(lower(host), lower(trim_prefix(pattern, "*")))
}

# METADATA
# title: Plain
# description: "`name` is a host name of letters, digits, dots and hyphens: no port, user, path, blank or trailing dot."
plain(name) if regex.match(`^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*$`, name)
