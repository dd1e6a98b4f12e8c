"""How the shipped heads were made; the running bot never imports this."""
