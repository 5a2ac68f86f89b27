# METADATA
# description: Words for the tests of our rules.
package custom.pdp.testing

# METADATA
# description: a guard of stage call whose file holds `text` below its package
guard(text) := file("guards/x.rego", concat("\n\n", ["package guards.x", text]))

# METADATA
# description: a file of the pack
file(name, text) := regal.parse_module(name, text)

# METADATA
# description: what every rule says
words := `# METADATA
# title: t
# description: d
# custom:
#   remedy: r
#   owner: o
#   severity: high
#   stage: call
#   good: {a: 1}
#   bad: [{a: 2}, {}]
`
