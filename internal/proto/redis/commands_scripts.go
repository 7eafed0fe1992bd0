package redis

// Scripts, functions and transactions.

var scriptCommands = group("scripting", []command{
	forward("eval", -3, neither, scripted, "2.6.0", "Run a script", `"return {KEYS[1],ARGV[1],redis.call('type',KEYS[1])}" 1 str arg`),
	forward("eval_ro", -3, read, scripted, "7.0.0", "Run a script that only reads", `"return {KEYS[1],ARGV[1]}" 1 str arg`),
	forward("evalsha", -3, neither, scripted, "2.6.0", "Run a script by its hash", "0000000000000000000000000000000000000000 1 str arg"),
	forward("evalsha_ro", -3, read, scripted, "7.0.0", "Run a script that only reads by its hash", "0000000000000000000000000000000000000000 1 str arg"),
	forward("fcall", -3, neither, scripted, "7.0.0", "Call a function", "echo 1 str arg"),
	forward("fcall_ro", -3, read, scripted, "7.0.0", "Call a function that only reads", "echo 1 str arg"),
	container("function", "7.0.0", "Load, list and remove the functions of all servers"),
	broadcast("function|delete", 3, write, mergeStatus, "7.0.0", "Remove a library of functions"),
	broadcast("function|dump", 2, neither, mergeSame, "7.0.0", "All libraries in Redis's own form"),
	broadcast("function|flush", -2, write, mergeStatus, "7.0.0", "Remove all libraries"),
	help("function|help", "7.0.0"),
	broadcast("function|kill", 2, neither, mergeOneOK, "7.0.0", "Stop the function that runs"),
	broadcast("function|list", -2, neither, mergeSame, "7.0.0", "The libraries and their functions"),
	broadcast("function|load", -3, write, mergeSame, "7.0.0", "Load a library of functions"),
	broadcast("function|restore", -3, write, mergeStatus, "7.0.0", "Load the libraries that DUMP gave"),
	broadcast("function|stats", 2, neither, mergeBusy, "7.0.0", "The function that runs, and the engines"),
	container("script", "2.6.0", "Load, look for and remove the scripts of all servers"),
	session("script|debug", 3, neither, noKeys, "3.2.0", "Step through a script"),
	broadcast("script|exists", -3, neither, mergeAllOf, "2.6.0", "Which scripts are loaded on every server"),
	broadcast("script|flush", -2, neither, mergeStatus, "2.6.0", "Remove all scripts"),
	help("script|help", "5.0.0"),
	broadcast("script|kill", 2, neither, mergeOneOK, "2.6.0", "Stop the script that runs"),
	broadcast("script|load", 3, neither, mergeLoad, "2.6.0", "Load a script on every server"),
	broadcast("script|show", 3, neither, mergeSame, "8.0.0", "A script's text (Valkey)"),
})

var transactionCommands = group("transactions", []command{
	transaction("discard", answerDiscard, "2.0.0", "Give up a transaction"),
	transaction("exec", answerExec, "1.2.0", "Carry out a transaction"),
	transaction("multi", answerMulti, "1.2.0", "Begin a transaction"),
	local("unwatch", 1, answerUnwatch, "2.2.0", "Watch no keys any more"),
	watch("watch", -2, allKeys, "2.2.0", "Carry out the transaction only if keys stay as they are"),
})
