package redis

// Commands on strings and on keys of any type.

var stringCommands = []command{
	forward("get", 2, read, key1),
	forward("set", -3, write, key1),
	fragment("mget", -2, read, allKeys),
	fragment("mset", -3, write, pairs),
	forward("append", 3, write, key1),
	forward("decr", 2, write, key1),
	forward("decrby", 3, write, key1),
	forward("getdel", 2, write, key1),
	forward("getex", -2, write, key1),
	forward("getrange", 4, read, key1),
	forward("getset", 3, write, key1),
	forward("incr", 2, write, key1),
	forward("incrby", 3, write, key1),
	forward("incrbyfloat", 3, write, key1),
	forward("lcs", -3, read, twoKeys),
	forward("msetnx", -3, write, pairs),
	forward("psetex", 4, write, key1),
	forward("setex", 4, write, key1),
	forward("setnx", 3, write, key1),
	forward("setrange", 4, write, key1),
	forward("strlen", 2, read, key1),
	forward("substr", 4, read, key1),
}

var keyCommands = []command{
	fragment("del", -2, write, allKeys),
	fragment("exists", -2, read, allKeys),
	fragment("touch", -2, read, allKeys),
	fragment("unlink", -2, write, allKeys),
	forward("copy", -3, write, twoKeys),
	forward("dump", 2, read, key1),
	forward("expire", -3, write, key1),
	forward("expireat", -3, write, key1),
	forward("expiretime", 2, read, key1),
	forward("move", 3, write, key1),
	// OBJECT, MEMORY, XGROUP and XINFO name their key behind a subcommand. What
	// they can do without a key is not for a proxy.
	forward("memory", -3, read, key2),
	forward("object", -3, read, key2),
	forward("persist", 2, write, key1),
	forward("pexpire", -3, write, key1),
	forward("pexpireat", -3, write, key1),
	forward("pexpiretime", 2, read, key1),
	forward("pttl", 2, read, key1),
	forward("rename", 3, write, twoKeys),
	forward("renamenx", 3, write, twoKeys),
	forward("restore", -4, write, key1),
	// The keys that SORT's BY and GET make from patterns are looked up on the
	// server of the list itself.
	forward("sort", -2, write, storeFrom2),
	forward("sort_ro", -2, read, key1),
	forward("ttl", 2, read, key1),
	forward("type", 2, read, key1),
}

var bitCommands = []command{
	forward("bitcount", -2, read, key1),
	forward("bitfield", -2, write, key1),
	forward("bitfield_ro", -2, read, key1),
	forward("bitop", -4, write, after1),
	forward("bitpos", -3, read, key1),
	forward("getbit", 3, read, key1),
	forward("setbit", 4, write, key1),
}

var hyperLogLogCommands = []command{
	forward("pfadd", -2, write, key1),
	forward("pfcount", -2, read, allKeys),
	forward("pfmerge", -2, write, allKeys),
}
