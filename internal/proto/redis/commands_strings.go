package redis

// Commands on strings, as text, bits and HyperLogLogs.

var stringCommands = group("string", []command{
	forward("get", 2, read, key1, "1.0.0", "A string's value", "str"),
	forward("set", -3, write, key1, "1.0.0", "Set a string, on conditions and with a time to live if asked", "str v ex 1000 xx get"),
	fragment("mget", -2, read, allKeys, mergeElements, "1.0.0", "The values of several strings", "str num missing list str"),
	fragment("mset", -3, write, pairs, mergeStatus, "1.0.1", "Set several strings", "str v new w str x"),
	forward("append", 3, write, key1, "2.0.0", "Add to a string's end", "str tail"),
	forward("decr", 2, write, key1, "1.0.0", "Take one from a number", "num"),
	forward("decrby", 3, write, key1, "1.0.0", "Take from a number", "num 3"),
	forward("delex", -2, write, key1, "8.4.0", "Delete a string on a condition", "str IFEQ v"),
	forward("delifeq", 3, write, key1, "9.0.0", "Delete a string that equals something (Valkey)", "str v"),
	forward("digest", 2, read, key1, "8.4.0", "A string's digest", "str"),
	forward("getdel", 2, write, key1, "6.2.0", "A string's value, and delete it", "str"),
	forward("getex", -2, write, key1, "6.2.0", "A string's value, and set or remove its expiry", "str persist"),
	forward("getrange", 4, read, key1, "2.4.0", "A part of a string", "str 1 3"),
	forward("getset", 3, write, key1, "1.0.0", "Set a string and tell its old value", "str v"),
	forward("incr", 2, write, key1, "1.0.0", "Add one to a number", "num"),
	forward("incrby", 3, write, key1, "1.0.0", "Add to a number", "num 3"),
	forward("incrbyfloat", 3, write, key1, "2.6.0", "Add to a number with a fraction", "num 1.5"),
	forward("increx", -2, write, key1, "8.8.0", "Add to a number, and set its expiry", "num BYINT 3 EX 1000"),
	forward("lcs", -3, read, twoKeys, "7.0.0", "The longest subsequence that two strings share", "str str2 idx minmatchlen 2 withmatchlen"),
	fragment("msetex", -4, write, countedPairs, mergeMin, "8.4.0", "Set several strings and their expiry, on conditions if asked", "2 str v new w EX 1000"),
	forward("msetnx", -3, write, pairs, "1.0.1", "Set several strings if none of the keys exists", "new1 v new2 w"),
	forward("psetex", 4, write, key1, "2.6.0", "Set a string and its time to live in milliseconds", "str 1000000 v"),
	forward("setex", 4, write, key1, "2.0.0", "Set a string and its time to live in seconds", "str 1000 v"),
	forward("setnx", 3, write, key1, "1.0.0", "Set a string if the key does not exist", "new v"),
	forward("setrange", 4, write, key1, "2.2.0", "Overwrite a part of a string", "str 2 xyz"),
	forward("strlen", 2, read, key1, "2.2.0", "A string's length", "str"),
	forward("substr", 4, read, key1, "1.0.0", "A part of a string; GETRANGE's old name", "str 1 3"),
})

var bitCommands = group("bitmap", []command{
	forward("bitcount", -2, read, key1, "2.6.0", "How many bits are set", "str 0 1 byte"),
	forward("bitfield", -2, write, key1, "3.2.0", "Read, set and count with the integers in a string", "str set u8 0 7 incrby i5 10 1 get u4 0"),
	forward("bitfield_ro", -2, read, key1, "6.0.0", "Read the integers in a string", "str get u8 0"),
	forward("bitop", -4, write, after1, "2.6.0", "Combine strings bit by bit", "and new str str2"),
	forward("bitpos", -3, read, key1, "2.8.7", "Where the first set or clear bit is", "str 1 0 -1 bit"),
	forward("getbit", 3, read, key1, "2.2.0", "One bit of a string", "str 7"),
	forward("setbit", 4, write, key1, "2.2.0", "Set or clear one bit of a string", "str 7 1"),
})

var hyperLogLogCommands = group("hyperloglog", []command{
	forward("pfadd", -2, write, key1, "2.8.9", "Add to a HyperLogLog", "hll a x"),
	forward("pfcount", -2, read, allKeys, "2.8.9", "About how many things are in HyperLogLogs", "hll hll2"),
	refuseKeyed("pfdebug", 3, sharedServer, write, key2, "2.8.9", "Look into a HyperLogLog"),
	forward("pfmerge", -2, write, destAndKeys, "2.8.9", "Unite HyperLogLogs", "new hll hll2"),
	refuse("pfselftest", 1, oneServer, "2.8.9", "Test the server's HyperLogLogs"),
})
