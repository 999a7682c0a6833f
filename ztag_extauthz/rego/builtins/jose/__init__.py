"""Keys and signatures of JSON Web Tokens."""
