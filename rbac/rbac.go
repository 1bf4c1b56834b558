// Package rbac decides who may do what. It does no I/O: it is given roles and
// users as documents and answers with a Grant, the only key that the read and
// write paths accept (I6), and, for one table, with an Access: which columns,
// masks and rows a principal has of it (behaviour.md B.4, decisions 2, 12-14).
package rbac
