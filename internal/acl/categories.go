package acl

import "strings"

// Categories is a set of categories of commands.
type Categories uint64

// categoryNames are all categories. Those of Redis 7.0 come first, in its order. Then come
// those of later releases and of modules.
var categoryNames = [...]string{
	"keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog",
	"geo", "stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting",
	"array", "json", "search", "timeseries", "bloom", "cuckoo", "cms", "topk", "tdigest", "vectorset",
}

// The categories that decide which commands a rule on databases concerns.
const (
	keyspace Categories = 1 << iota
	read
	write
)

// CategoryNames are the names of all categories, as ACL CAT lists them.
func CategoryNames() []string { return categoryNames[:] }

// CategoryNamed is the category of that name, in any case. ok is false if there is none.
func CategoryNamed(name string) (c Categories, ok bool) {
	for i, known := range categoryNames {
		if strings.EqualFold(known, name) {
			return 1 << i, true
		}
	}
	return 0, false
}

// CategoriesOf are the categories that have these names, with or without '@' before them.
// Unknown names are left out.
func CategoriesOf(names ...string) (c Categories) {
	for _, name := range names {
		one, _ := CategoryNamed(strings.TrimPrefix(name, "@"))
		c |= one
	}
	return c
}
