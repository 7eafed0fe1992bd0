package redis

import (
	"strings"

	"nuthatch/internal/msg"
)

// A Row is a command or subcommand of the table, for tests of nuthatch from the
// outside.
type Row struct {
	// Name is the command's words in lower case: one, or two for a subcommand.
	Name []string
	// MinWords is the least number of words of a request, the name's included.
	MinWords int
	// Treatment is what becomes of a correct request.
	Treatment msg.Treatment
	// Reads: the command changes nothing.
	Reads bool
	// Example is the words of a correct call, after the name, over keys named after
	// what they hold: str, hash, list, and so on. It is empty for commands that are not
	// placed by a key.
	Example string
}

// Table is every row, in the order of docs/COMMANDS.md.
func Table() []Row {
	rows := make([]Row, 0, len(commands))
	for i := range commands[1:] {
		c := &commands[i+1]
		rows = append(rows, Row{
			Name: strings.Split(c.name, "|"), MinWords: c.minArgs, Treatment: c.treatment, Reads: c.access == read, Example: c.example,
		})
	}
	return rows
}
