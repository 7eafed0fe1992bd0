package main

import (
	"fmt"
	"io"

	"nuthatch/internal/config"
)

// schemaFlags is the command line of "nuthatch schema".
type schemaFlags struct{ help bool }

func (f *schemaFlags) table() []option {
	return []option{{'h', "help", noArgument, "this help", set(&f.help)}}
}

// runSchema is "nuthatch schema": it writes the JSON Schema of a configuration file.
func runSchema(args []string, stdout, stderr io.Writer) int {
	f := &schemaFlags{}
	table := f.table()
	operands, err := getopt(table, args)
	if err == nil && len(operands) > 0 {
		err = fmt.Errorf("unexpected argument %q", operands[0])
	}
	if err != nil {
		writeFault(stderr, "schema", "> nuthatch.schema.json", err)
		return exitFailure
	}
	if f.help {
		fmt.Fprintf(stdout, "Usage: %s schema > nuthatch.schema.json\n\n", nuthatch)
		writeText(stdout, "Writes the JSON Schema of a configuration file. Editors with a YAML language server complete and check the file by it, if a comment in its first line names it: # yaml-language-server: $schema=nuthatch.schema.json")
		fmt.Fprintln(stdout)
		writeOptions(stdout, table)
		return 0
	}
	if _, err := stdout.Write(config.Schema()); err != nil {
		fmt.Fprintf(stderr, "%s schema: %v\n", nuthatch, err)
		return exitFailure
	}
	return 0
}
