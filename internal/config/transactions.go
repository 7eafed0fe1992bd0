package config

// Transactions is what a Redis pool does with MULTI.
type Transactions uint8

const (
	// TransactionsAtomic sends the transaction to the one server that owns its keys.
	TransactionsAtomic Transactions = iota
	// TransactionsPerServer sends a transaction to each server that owns some of its keys.
	TransactionsPerServer
	// TransactionsRefuse refuses the transaction.
	TransactionsRefuse
)

var transactionsNames = []string{TransactionsAtomic: "atomic", TransactionsPerServer: "per_server", TransactionsRefuse: "refuse"}
