# METADATA
# title: The tool reaches only hosts on its list
# description: |
#   Every argument labelled `url` has the scheme, the host and the port that config.yaml allows the tool, its server, or all
#   others; of a list, every item does. An IP address counts only when it is listed itself. A URL that could be read in two
#   ways, or names a user, reaches nothing, and so does a tool without a list.
# custom:
#   remedy: Use a URL of an allowed host, written plainly; or have the tool's owner add the host in config.yaml.
#   owner: application security
#   severity: high
#   stage: call
#   good:
#     tool: {server: web, name: fetch, argument_labels: {/note: [text]}}
#     arguments: {note: x}
#     parsed: {}
#   bad:
#     - tool: {server: web, name: fetch, argument_labels: {/page: [url]}}
#       arguments: {page: "http://169.254.169.254/latest"}
#       parsed: {/page: {kind: url, path: /latest, segments: [latest], scheme: http, host: 169.254.169.254, address: true, port: 80}}
#     - tool: {server: web, name: fetch, argument_labels: {/page: [url]}}
#       arguments: {page: "https://intranet@evil.example/"}
#       parsed: {}
package guards.hosts_allowed

import data.config
import data.lib.argument
import data.lib.host
import data.lib.parsed
import data.lib.tool

holds if argument.unlabelled(input.tool.argument_labels, "url")

holds if host.all_reachable(
	parsed.labelled(input.arguments, input.parsed, input.tool.argument_labels, "url"),
	tool.setting(input.tool, config.guards.hosts_allowed),
)
