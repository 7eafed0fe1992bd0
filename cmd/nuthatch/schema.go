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
		fmt.Fprintf(stdout, "Usage: %s schema > nuthatch.schema.json\n\nWrites the JSON Schema of a configuration file, for editors.\n\n", nuthatch)
		writeOptions(stdout, table)
		return 0
	}
	if _, err := stdout.Write(config.Schema()); err != nil {
		fmt.Fprintf(stderr, "%s schema: %v\n", nuthatch, err)
		return exitFailure
	}
	return 0
}
