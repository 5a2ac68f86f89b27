# METADATA
# title: Files stay in the folders of the tool
# description: |
#   Every argument labelled `path` lies in one of the folders that config.yaml gives the tool, its server, or all others; of
#   a list, every item does. A path that could be read in two ways (`..`, a backslash, an escape) lies nowhere, and a tool
#   without folders reaches nothing.
# custom:
#   remedy: Name a file in a folder of the tool, written plainly; or have the tool's owner add the folder in config.yaml.
#   owner: application security
#   severity: high
#   stage: call
#   good:
#     tool: {server: files, name: read, argument_labels: {/note: [text]}}
#     arguments: {note: x}
#     parsed: {}
#   bad:
#     - tool: {server: files, name: read, argument_labels: {/file: [path]}}
#       arguments: {file: /etc/passwd}
#       parsed: {/file: {kind: path, path: /etc/passwd, segments: [etc, passwd], absolute: true}}
#     - tool: {server: files, name: read, argument_labels: {/file: [path]}}
#       arguments: {file: /srv/shared/../../etc/passwd}
#       parsed: {}
package guards.paths_contained

import data.config
import data.lib.argument
import data.lib.parsed
import data.lib.path
import data.lib.tool

holds if argument.unlabelled(input.tool.argument_labels, "path")

holds if path.all_inside(
	parsed.labelled(input.arguments, input.parsed, input.tool.argument_labels, "path"),
	tool.setting(input.tool, config.guards.paths_contained),
)
