# canary: law lint

package guards.nameless

holds if input.tool.name == "x"
