# METADATA
# title: Paths
# description: Says whether a file lies inside a folder. Only a plain absolute path lies anywhere.
package lib.path

# METADATA
# title: Under path
# description: "`path` is `root` or below it. Both are absolute and plain: no `.`, `..`, doubled slash, backslash or `%`."
under_path(path, root) if {
	plain(path)
	plain(root)
	startswith(concat("", [path, "/"]), concat("", [root, "/"]))
}

# METADATA
# title: Plain
# description: "`path` is text like /srv/data: every segment has a name, none of them is `.` or `..`."
plain(path) if {
	regex.match(`^(/[^/\\%\x00-\x1f]+)+$`, path)
	every segment in split(path, "/") { not segment in {".", ".."} }
}
