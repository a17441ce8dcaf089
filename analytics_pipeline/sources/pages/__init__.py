"""Products from a shop's public pages: robots.txt, sitemaps, schema.org's data on a page, and which page when.

What is stored of it is in `history.pages`; what a description says of it in `shop.pages`.
"""
