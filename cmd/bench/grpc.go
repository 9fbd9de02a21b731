package main

import (
	"context"
	"errors"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
)

// rawCodec passes bytes as they are: what is measured is gRPC, not the encoding of
// values.
type rawCodec struct{}

func (rawCodec) Name() string { return "raw" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

func init() { encoding.RegisterCodecV2(rawCodec{}) }

// peerService answers a call with what it got, and sends what is published to all
// who listen.
type peerService struct {
	news []chan []byte // one for each listener
	next chan int      // numbers for listeners
}

var peerDesc = grpc.ServiceDesc{
	ServiceName: "peer",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "echo", Handler: func(_ any, _ context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var body []byte
		err := dec(&body)
		return &body, err
	}}},
	Streams: []grpc.StreamDesc{{StreamName: "listen", ServerStreams: true, Handler: func(srv any, stream grpc.ServerStream) error {
		s := srv.(*peerService)
		var hello []byte
		if err := stream.RecvMsg(&hello); err != nil {
			return err
		}
		for body := range s.news[<-s.next] {
			if err := stream.SendMsg(&body); err != nil {
				return err
			}
		}
		return nil
	}}},
}

// withGRPC runs fn with a server and a client of it over loopback.
func withGRPC(s *peerService, fn func(c *grpc.ClientConn) error) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	server.RegisterService(&peerDesc, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	c, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.CallContentSubtype(rawCodec{}.Name())))
	if err == nil {
		err = errors.Join(fn(c), c.Close())
	}
	server.Stop()
	return errors.Join(err, <-served)
}

func pingPongGRPC(ctx context.Context) (us float64, err error) {
	err = withGRPC(new(peerService), func(c *grpc.ClientConn) (err error) {
		body, answer := make([]byte, messageBytes), []byte(nil)
		us, err = medianTrip(func() error { return c.Invoke(ctx, "/peer/echo", &body, &answer) })
		return err
	})
	return us, err
}

func fanOutGRPC(ctx context.Context) (rate float64, err error) {
	s := &peerService{next: make(chan int, subscribers)}
	for i := range subscribers {
		s.news = append(s.news, make(chan []byte, published))
		s.next <- i
	}
	err = withGRPC(s, func(c *grpc.ClientConn) error {
		var streams []grpc.ClientStream
		for range subscribers {
			stream, err := c.NewStream(ctx, &peerDesc.Streams[0], "/peer/listen")
			if err != nil {
				return err
			}
			hello := []byte("hello")
			if err := errors.Join(stream.SendMsg(&hello), stream.CloseSend()); err != nil {
				return err
			}
			streams = append(streams, stream)
		}
		body := make([]byte, messageBytes)
		rate, err = fanOut(func(n int) error {
			for range n {
				for _, c := range s.news {
					c <- body
				}
			}
			return nil
		}, func(i int) error {
			var got []byte
			return streams[i].RecvMsg(&got)
		})
		return err
	})
	return rate, err
}
