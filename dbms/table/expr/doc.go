// Package expr is the small language of checks and of the conditions of partial
// indexes. An expression is kept as text in the catalog, where SQL sees it too,
// so it says nothing that SQL could not say:
//
//	size >= 0 and (kind = 'file' or target is not null) and not hidden
//
//	or       = and { "or" and }
//	and      = not { "and" not }
//	not      = [ "not" ] ( "(" or ")" | test )
//	test     = operand [ compare operand | "is" [ "not" ] "null" ]
//	compare  = "=" | "<>" | "!=" | "<" | "<=" | ">" | ">="
//	operand  = column | number | "'" text "'" | "x'" hexadecimal "'" | "true" | "false"
//
// Words are known in any case; a quote in text is doubled. A column alone must
// be a bool. A constant takes the type of the column it is compared with, so
// times, durations, UUIDs and decimals are written as text: created >=
// '2026-01-01'. As in SQL, a comparison with null is neither true nor false.
//
// The package owns parser, printer and evaluation; it imports the package value
// of Tuplix only. It guarantees that Parse reads what String writes, and that a
// bound expression cannot fail. It refuses, with errors that show the place,
// what does not parse, unknown columns, and comparisons of different types.
package expr
