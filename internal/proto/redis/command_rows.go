package redis

import (
	"strings"

	"nuthatch/internal/msg"
)

// A Row is what the table says of a command, or of a subcommand, to those who
// test nuthatch from the outside.
type Row struct {
	// Name is the command's words in lower case: one, or two for a subcommand.
	Name []string
	// MinWords is the least number of words of a request, the name's included.
	MinWords int
	// Treatment is what becomes of a request that is right.
	Treatment msg.Treatment
	// Reads: the command changes nothing.
	Reads bool
	// Example are the words of a right call behind the name, over keys named
	// after what they hold: str, hash, list, and so on. Empty for commands that
	// are not placed by a key.
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
