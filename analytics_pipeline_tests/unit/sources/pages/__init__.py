"""Unit tests of products from public pages."""
