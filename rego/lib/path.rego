# METADATA
# title: Paths
# description: |
#   Says whether a file lies inside a folder. Only a plain path lies anywhere: absolute, or relative to the folder that the
#   tool works in. Arguments labelled `path` come taken apart, in `input.parsed`.
package lib.path

# METADATA
# title: All inside
# description: "Every one of `entries`, which `parsed.labelled` returns, lies in one of `folders`. When there are none they do."
all_inside(entries, folders) if {
	is_array(entries)
	is_array(folders)
	every entry in entries { inside(entry, folders) }
}

# METADATA
# title: Inside
# description: "`entry` is a path of `input.parsed`, and lies in one of `folders`."
inside(entry, folders) if {
	entry.kind == "path"
	is_array(folders)
	some folder in folders
	under_path(entry.path, folder)
}

# METADATA
# title: Outside
# description: |
#   `entry` is a path of `input.parsed` that is plain, and lies in none of `folders`, whatever the case: some disks do not know it.
#   All of them are absolute, as it is.
outside(entry, folders) if {
	entry.kind == "path"
	plain(entry.path)
	is_array(folders)
	every folder in folders {
		plain(folder)
		not under_path(lower(entry.path), lower(folder))
	}
}

# METADATA
# title: Under path
# scope: document
# description: |
#   `path` is `root` or below it, and both are plain. The root `/` has every absolute path below it, the root `.` every
#   relative one.
under_path(path, root) if {
	plain(path)
	plain(root)
	startswith(closed(path), closed(root))
}

under_path(path, root) if {
	relative(path)
	relative(root)
	startswith(closed(path), closed(root))
}

under_path(path, ".") if relative(path)

# METADATA
# title: Plain
# description: "`path` is text like /srv/data, or /: every segment has a name, none of them is `.` or `..`; no backslash, no `%`."
plain(path) if {
	regex.match(`^(/|(/[^/\\%\x00-\x1f]+)+)$`, path)
	without_dots(path)
}

# METADATA
# title: Relative
# description: |
#   `path` is text like data/report.txt, in the same plain form. What a tool may read as something else is not: a home (`~`),
#   an option (`-`), a variable (`$`), a drive (`:`).
relative(path) if {
	regex.match(`^[^/\\%:~$\x00-\x1f-][^/\\%:\x00-\x1f]*(/[^/\\%\x00-\x1f]+)*$`, path)
	without_dots(path)
}

# METADATA
# title: Without dots
# description: No segment of `path` is `.` or `..`.
without_dots(path) if {
	every segment in split(path, "/") { not segment in {".", ".."} }
}

# METADATA
# title: Closed
# description: A path with a slash at its end.
closed(path) := concat("", [trim_suffix(path, "/"), "/"])
