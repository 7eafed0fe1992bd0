package main

import (
	"fmt"
	"io"
	"strings"
)

// writeFault writes what is wrong with a command line of ours: two lines on how it is used and
// where the rest is, and the fault last, where it is seen. which is empty, or a command.
func writeFault(w io.Writer, which, synopsis string, fault error) {
	name := strings.TrimRight(nuthatch+" "+which, " ")
	fmt.Fprintf(w, "Usage: %s\n", strings.TrimRight(name+" "+synopsis, " "))
	fmt.Fprintf(w, "'%s --help' lists the options.\n", name)
	fmt.Fprintf(w, "%s: %v\n", name, fault)
}

// writeUsage writes what -h shows and, under nutcracker's name, what follows a fault in the
// command line.
func writeUsage(w io.Writer, program string) {
	indent := strings.Repeat(" ", len("Usage: ")+len(program))
	fmt.Fprintf(w, "Usage: %s [-?hVdDt] [-v verbosity level] [-o output file]\n", program)
	fmt.Fprintf(w, "%s [-c conf file] [-s stats port] [-a stats addr]\n", indent)
	fmt.Fprintf(w, "%s [-i stats interval] [-p pid file] [-m mbuf size]\n", indent)
	if program == nuthatch {
		for _, c := range commands() {
			fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("       %s %s %s", program, c.name, c.synopsis), " "))
		}
	}
	fmt.Fprintln(w)
	writeOptions(w, (&flags{}).table(program))
	if program == nuthatch {
		fmt.Fprintln(w, "\nCommands:")
		for _, c := range commands() {
			fmt.Fprintf(w, "  %-22s : %s\n", c.name, c.help)
		}
	}
	fmt.Fprintln(w)
}

// writeOptions writes one line for every row of a table of options.
func writeOptions(w io.Writer, table []option) {
	fmt.Fprintln(w, "Options:")
	for _, o := range table {
		name := o.long
		switch o.argument {
		case noArgument:
		case number:
			name += "=N"
		case fileName, text:
			name += "=S"
		}
		short := "   "
		if o.short != 0 {
			short = "-" + string(o.short) + ","
		}
		fmt.Fprintf(w, "  %s --%-16s : %s\n", short, name, o.help)
	}
}

// usageWidth is how many columns a paragraph of help has at the most.
const usageWidth = 80

// writeText writes a paragraph in lines.
func writeText(w io.Writer, text string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > usageWidth {
			fmt.Fprintln(w, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	fmt.Fprintln(w, line)
}
