package msg

// A Family is a kind of command. Measurements of servers are kept by family, so that
// their size does not grow with the number of commands.
type Family uint8

const (
	// OtherCommands touch no key, or are not known.
	OtherCommands Family = iota
	// Reads are commands that read one key, or keys of one server.
	Reads
	// Writes are commands that write one key, or keys of one server.
	Writes
	// Multis are commands that are split by server.
	Multis
	// Scripts are scripts and functions, which may do anything.
	Scripts
	// NumFamilies is how many there are.
	NumFamilies = iota
)

var familyNames = [NumFamilies]string{
	OtherCommands: "other", Reads: "read", Writes: "write", Multis: "multi", Scripts: "script",
}

// String is the family's name in the statistics.
func (f Family) String() string { return familyNames[f] }

// A Command is what the measurements need to know of a command.
type Command struct {
	// Name is the command's, in lower case; a subcommand's follows its
	// container's and a bar.
	Name   string
	Family Family
	// Pure: it changes nothing on a server, so it may be carried out twice.
	Pure bool
	// Whole: it is a read of all servers, and without one of them there is no reply.
	Whole bool
	// MostQueued is the most words, the name included, with which it is queued in a
	// transaction.
	MostQueued int
	// Replicas: it is one that replicas carry out.
	Replicas bool
	// Publishes: it tells those who listen to a channel something.
	Publishes bool
}
