package redis

// Commands on types that came with Redis 8: arrays and vector sets.

var arrayCommands = group("array", []command{
	forward("arcount", 2, read, key1, "8.8.0", "How many elements an array has", "array"),
	forward("ardel", -3, write, key1, "8.8.0", "Delete elements of an array", "array 1 7"),
	forward("ardelrange", -4, write, key1, "8.8.0", "Delete parts of an array", "array 1 3 7 9"),
	forward("arget", 3, read, key1, "8.8.0", "The element at a place of an array", "array 1"),
	forward("argetrange", 4, read, key1, "8.8.0", "A part of an array", "array 0 9"),
	forward("argrep", -6, read, key1, "8.8.0", "The elements of a part of an array that match", "array 0 9 GLOB a* LIMIT 2"),
	forward("arinfo", -2, read, key1, "8.8.0", "What an array is like", "array FULL"),
	forward("arinsert", -3, write, key1, "8.8.0", "Add elements to an array", "array a b"),
	forward("arlastitems", -3, read, key1, "8.8.0", "The elements that an array was given last", "array 2 REV"),
	forward("arlen", 2, read, key1, "8.8.0", "An array's length", "array"),
	forward("armget", -3, read, key1, "8.8.0", "The elements at several places of an array", "array 1 7"),
	forward("armset", -4, write, key1, "8.8.0", "Set elements at several places of an array", "array 1 a 7 b"),
	forward("arnext", 2, read, key1, "8.8.0", "Where an array's next element goes", "array"),
	forward("arop", -5, read, key1, "8.8.0", "The sum, or the like, of a part of an array", "array 0 9 SUM"),
	forward("arring", -4, write, key1, "8.8.0", "Add elements to an array that forgets its oldest", "array 8 a b"),
	forward("arscan", -4, read, key1, "8.8.0", "Walk through a part of an array", "array 0 9 LIMIT 2"),
	forward("arseek", 3, write, key1, "8.8.0", "Set where an array's next element goes", "array 7"),
	forward("arset", -4, write, key1, "8.8.0", "Set elements of an array, one behind the other", "array 1 a b"),
})

var vectorSetCommands = group("vector_set", []command{
	forward("vadd", -5, write, key1, "8.0.0", "Add a member to a vector set", "vectors VALUES 2 0.1 1.2 a"),
	forward("vcard", 2, read, key1, "8.0.0", "How many members a vector set has", "vectors"),
	forward("vdim", 2, read, key1, "8.0.0", "How many dimensions a vector set has", "vectors"),
	forward("vemb", -3, read, key1, "8.0.0", "A member's vector", "vectors a RAW"),
	forward("vgetattr", 3, read, key1, "8.0.0", "A member's attributes", "vectors a"),
	forward("vinfo", 2, read, key1, "8.0.0", "What a vector set is like", "vectors"),
	forward("vismember", 3, read, key1, "8.0.0", "Is something in a vector set", "vectors a"),
	forward("vlinks", -3, read, key1, "8.0.0", "A member's neighbours", "vectors a WITHSCORES"),
	forward("vrandmember", -2, read, key1, "8.0.0", "Some members of a vector set", "vectors 2"),
	forward("vrange", -4, read, key1, "8.4.0", "The members of a vector set in a range of names", "vectors - + 2"),
	forward("vrem", 3, write, key1, "8.0.0", "Remove a member of a vector set", "vectors a"),
	forward("vsetattr", 4, write, key1, "8.0.0", "Set a member's attributes", "vectors a {}"),
	forward("vsim", -4, read, key1, "8.0.0", "The members of a vector set that are most alike", "vectors ELE a COUNT 2"),
})
