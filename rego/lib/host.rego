# METADATA
# title: Hosts
# description: Says whether a host is one of ours, on the name alone. Only a plain host name is a host.
package lib.host

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
plain(name) if regex.match(`^(?i)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`, name)
