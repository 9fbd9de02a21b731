package linux

// limitDescriptors is the present RLIMIT_NOFILE.
func (s *System) limitDescriptors() int { return MaxDescriptors }
