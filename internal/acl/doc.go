// Package acl is Redis's access control lists: users, their passwords, and the rules that
// say what they may do. It is pure. It does no I/O and knows no protocol.
//
//	aclfile, users of the configuration
//	      │ Builder.File, Builder.User          with a Table of the commands
//	      ▼
//	    Users ── Login(name, password) ──► User
//	                                        │ Begin(what is asked for)
//	                                        ▼
//	                                      Trial ◄── Key, Channel, Database: what the request names
//	                                        │
//	                                        ▼
//	                                     Verdict ── Error ──► client
//	                                        └────── Log ────► ACL LOG
//
// A user has selectors: the root, which the rules outside parentheses make, and one for
// each pair of parentheses. A request is allowed if one selector allows the command, every
// key, every channel and the database.
//
// Users, User and Table are never changed after they are built. Any number of goroutines
// may use them. A Trial and a Log belong to one goroutine.
package acl
