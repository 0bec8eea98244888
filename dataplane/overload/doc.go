// Package overload decides what is refused when there is more to do than can be done: by a limit for each upstream that finds
// itself, and by how late the process itself is and how much memory it holds. Refusing early and cheaply keeps what is admitted
// fast; what matters least is refused first.
//
// It must never know what a request is: it sees moments, durations and an importance.
package overload
