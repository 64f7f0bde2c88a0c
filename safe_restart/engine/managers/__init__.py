"""Process managers: what runs a bench's services, and how each is made to bring a service back."""
