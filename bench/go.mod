module github.com/penstock-io/penstock/bench

go 1.26.0

require (
	github.com/cloudwego/netpoll v0.7.2
	github.com/djherbis/buffer v1.2.1
	github.com/djherbis/nio/v3 v3.0.1
	github.com/penstock-io/penstock v0.0.0-00010101000000-000000000000
	github.com/smallnest/ringbuffer v0.0.0-20250317021400-0da97b586904
	golang.org/x/sys v0.49.0
)

require (
	github.com/bytedance/gopkg v0.1.1 // indirect
	github.com/cloudwego/gopkg v0.1.4 // indirect
)

replace github.com/penstock-io/penstock => ../
