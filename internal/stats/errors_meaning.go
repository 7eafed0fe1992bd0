package stats

// errorMeanings say what the error replies of ServerFaults mean.
var errorMeanings = map[string]string{
	"OOM":          "its memory is full (maxmemory), and it refuses writes",
	"NOAUTH":       "it wants a password, and has not got the right one (server_password, or redis_auth without it)",
	"WRONGPASS":    "it refuses the pool's password (server_password, or redis_auth without it)",
	"NOPERM":       "its ACL does not allow the pool's user to do this",
	"READONLY":     "it is a replica, and takes no writes",
	"LOADING":      "it is loading its data",
	"MASTERDOWN":   "it is a replica that has lost its master",
	"MISCONF":      "it cannot save to disk, and refuses writes",
	"NOREPLICAS":   "it has too few replicas, and refuses writes (min-replicas-to-write)",
	"BUSY":         "it is busy with a script",
	"MOVED":        "it is a node of a Redis Cluster, and the key belongs to another node",
	"ASK":          "it is a node of a Redis Cluster, and the key moves to another node",
	"TRYAGAIN":     "it is a node of a Redis Cluster, and the keys are just being moved",
	"CLUSTERDOWN":  "its Redis Cluster is down",
	"INPROG":       "a failover is under way",
	"NOGOODSLAVE":  "there is no replica to fail over to",
	"NOMASTERLINK": "it has no connection to its master",
	"IOERR":        "it cannot reach another server",
	"DENIED":       "protected mode: it refuses connections from other hosts",
	"SERVER_ERROR": "it could not carry the request out, as without memory",
}

// ErrorMeaning says what an error reply with the prefix means about its server; empty for
// those that are about the request, or not known.
func ErrorMeaning(prefix string) string { return errorMeanings[prefix] }
