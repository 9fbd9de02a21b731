package linux

// socketCalls are the calls on sockets.
var socketCalls = []call{}

// Network makes sockets (services/net).
type Network interface {
	// Socket makes an unconnected socket (socket(2)). EAFNOSUPPORT,
	// ESOCKTNOSUPPORT or EPROTONOSUPPORT for what it does not speak.
	Socket(family, kind, protocol int) (Description, error)
}
