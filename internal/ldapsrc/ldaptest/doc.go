// Package ldaptest is a small LDAP server in memory, for the demo and for tests: it answers as a directory does, or misbehaves
// exactly as it is told to.
//
//	s := ldaptest.New(ldaptest.Options{
//		Entries:        ldaptest.Generate(ldaptest.GenOptions{People: 2000, Groups: 40}),
//		AllowAnonymous: true,
//		Faults:         []ldaptest.Fault{{Base: "ou=people,dc=example,dc=org", Page: 2, Do: ldaptest.Result(51).After(3)}},
//	})
//	url, err := s.Start()
//	defer s.Close()
//
// It speaks LDAP v3 as far as readers need it: simple and EXTERNAL bind, search with filters, attribute selection, paged
// results and range retrieval, StartTLS, "who am I". It is read-only. It borrows the filter of package ldapsrc, so tests of
// ldapsrc that use it are in package ldapsrc_test. A real slapd for tests is in package slapdtest beside it.
package ldaptest
