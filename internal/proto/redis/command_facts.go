package redis

import (
	"slices"
	"strings"
)

// What COMMAND tells of a command beside its words and where its keys are: as
// redis-server 7.0.15 has it, or, of a command that it does not know, as the
// command's documentation has it.

// facts are words with spaces between them.
type facts struct {
	// flags are in Redis's order.
	flags string
	// categories are those of access control lists that do not follow from the
	// flags.
	categories string
	// tips are for clients of a cluster.
	tips string
	// use is what is done with the keys, with a bar between those of two
	// specifications.
	use string
}

// factsOf are those of the command of that name; zero for a few that are refused.
func factsOf(name string) facts {
	if f, ok := keyFacts[name]; ok {
		return f
	}
	return otherFacts[name]
}

// aclCategories are all categories, in Redis's order.
var aclCategories = strings.Fields("keyspace read write set sortedset list hash string bitmap hyperloglog geo stream pubsub " +
	"admin fast slow blocking dangerous connection transaction scripting array")

// allCategories are f's, in Redis's order, those that follow from its flags included.
func (f *facts) allCategories() []string {
	flags, own := strings.Fields(f.flags), strings.Fields(f.categories)
	hasFlag := func(flag string) bool { return slices.Contains(flags, flag) }
	isIn := func(category string) bool { return slices.Contains(own, category) }
	var all []string
	for _, c := range aclCategories {
		if isIn(c) || followsFromFlags(c, hasFlag, isIn) {
			all = append(all, "@"+c)
		}
	}
	return all
}

// followsFromFlags tells whether a command with these flags, and with these categories of its
// own, is in the category c, too. That is Redis's rule.
func followsFromFlags(c string, hasFlag, isIn func(string) bool) bool {
	switch c {
	case "read":
		return hasFlag("readonly") && !isIn("scripting")
	case "slow":
		return !hasFlag("fast") && !isIn("fast")
	case "dangerous":
		return hasFlag("admin")
	case "write", "admin", "pubsub", "fast", "blocking":
		return hasFlag(c)
	}
	return false
}

// uses are what is done with the keys of each specification.
func (f *facts) uses() [][]string {
	var all [][]string
	for one := range strings.SplitSeq(f.use, "|") {
		all = append(all, strings.Fields(one))
	}
	return all
}

// notes are the sentences that redis-server has for some of its key specifications,
// in the order of these; those without one are empty.
var notes = map[string][]string{
	"set":      {"RW and ACCESS due to the optional `GET` argument"},
	"getex":    {"RW and UPDATE because it changes the TTL"},
	"bitfield": {"This command allows both access and modification of the key"},
	"pfcount":  {"RW because it may change the internal representation of the key, and propagate to replicas"},
	"xadd":     {"UPDATE instead of INSERT because of the optional trimming feature"},
	"sort":     {"", patternNote, "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array"},
	"sort_ro":  {"", patternNote},
	"eval":     {writingScriptNote},
	"fcall":    {writingScriptNote},
	"eval_ro":  {readingScriptNote},
	"fcall_ro": {readingScriptNote},
}

const (
	patternNote       = "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort"
	writingScriptNote = "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE"
	readingScriptNote = "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS"
)
