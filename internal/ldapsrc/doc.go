// Package ldapsrc reads a directory completely or not at all, and maps its entries to people.
//
// Start at [Source.Read]: it connects to one server, checks that the search bases and the canaries are there, reads all
// groups and then all people, page by page, and looks up once more whoever is missing. Whatever could mean that an entry was
// left out ends the read as an [IncompleteError]; nobody is ever missing because something could not be read. An entry that
// was read but cannot be understood stays in the result, with its problems, and is held by those who decide.
//
// Who is in which group is computed here, in memory, from the groups' own member lists: servers differ in what they
// maintain on the side of the people.
package ldapsrc
