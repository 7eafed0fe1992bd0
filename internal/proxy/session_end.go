package proxy

// A client whose request waits at a server is to be missed at once. The kernel tells of a
// connection's end while nothing is read. But the end that TLS has is a message of its own
// behind whatever was sent before, and the connection itself may stay open:
//
//	client                                        proxy
//	BLPOP q 0, GET a   ─► taken; GET a waits in the stash, and reading goes on
//	close_notify       ─► the client has gone: the server's connection is closed
//
// So what comes through a stage is read as long as the client may hold more. It waits in the
// stash.

// readsForEnd reports whether more is read from a client although its requests must wait.
func readsForEnd(c *client) bool {
	return c.blocked() && c.Staged() != nil && int64(c.stash.Len()) < c.pool.conf.ClientMaxQueued && c.within(1)
}
