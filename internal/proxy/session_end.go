package proxy

// A client whose request waits at a server is to be missed at once. Its end stands behind what
// it has sent before: the last word of TLS is a message, and the kernel takes the end of a
// connection only when there is room for all that comes before it:
//
//	client                                        proxy
//	BLPOP q 0, GET a   ─► taken; GET a waits in the stash, and reading goes on
//	its end            ─► the client has gone: the server's connection is closed
//
// So such a client is read from as long as it may hold more. What comes waits in the stash.
// Beyond that nobody can know whether it is still there.

// readsForEnd reports whether more is read from a client although its requests must wait.
func readsForEnd(c *client) bool {
	return c.blocked() && int64(c.stash.Len()) < c.pool.conf.ClientMaxQueued && c.within(1)
}

// readForEnd goes on reading from a client that waits at a server, if more may be held for it.
func readForEnd(c *client) {
	if c.state == clientOpen && c.stash.Len() > 0 && readsForEnd(c) {
		c.ResumeRead()
	}
}
